/**
 * The notices of a run: why it failed, and what happened along the way.
 */
import type { ISnapshot } from '../protocol/types.js';
import { element } from './dom.js';

const STYLED_KINDS: readonly string[] = ['error', 'warning'];

/** The lines below the status line; rebuilt only when they change. */
export class Notices {
  readonly node = element('div', 'jt-Notices');
  private _drawnKey = '';

  /** Shows a snapshot's notices. */
  update({ notices }: ISnapshot): void {
    const key = JSON.stringify(notices);
    if (key === this._drawnKey) {
      return;
    }
    this._drawnKey = key;
    this.node.replaceChildren(
      ...notices.map(([kind, text]) =>
        element('div', `jt-Notice jt-mod-${STYLED_KINDS.includes(kind) ? kind : 'note'}`, text)
      )
    );
  }
}
