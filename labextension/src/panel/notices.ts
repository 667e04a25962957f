/**
 * What deserves a line: why a run failed, and what happened along the way.
 */
import type { ISnapshot } from '../protocol/types.js';
import { element } from './dom.js';

const KINDS: readonly string[] = ['error', 'warning'];

/** The lines below the numbers; rebuilt only when they change. */
export class Notices {
  readonly node = element('div', 'jt-Notices');
  private _shown = '';

  /** Shows a snapshot's lines. */
  update({ notices }: ISnapshot): void {
    const now = JSON.stringify(notices);
    if (now === this._shown) {
      return;
    }
    this._shown = now;
    this.node.replaceChildren(
      ...notices.map(([kind, text]) =>
        element('div', `jt-Notice jt-mod-${KINDS.includes(kind) ? kind : 'note'}`, text)
      )
    );
  }
}
