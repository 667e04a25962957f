/**
 * jupyter_train in JupyterLab and Notebook 7: a renderer for runs, and the list of all of them.
 */
import { formPlugin } from './plugins/form.js';
import { rendererPlugin } from './plugins/renderer.js';
import { runsPlugin } from './plugins/runs.js';

export default [rendererPlugin, runsPlugin, formPlugin];
