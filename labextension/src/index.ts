/**
 * jupyter_train in JupyterLab and Notebook 7: a renderer for runs, and the list of all of them.
 */
import { formPlugin } from './plugins/form';
import { rendererPlugin } from './plugins/renderer';
import { runsPlugin } from './plugins/runs';

export default [rendererPlugin, runsPlugin, formPlugin];
