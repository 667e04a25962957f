/**
 * jupyter_train in JupyterLab and Notebook 7: a renderer for runs.
 */
import { rendererPlugin } from './plugins/renderer';

export default [rendererPlugin];
