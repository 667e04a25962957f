/**
 * A desktop notification when a run is over, for a user who requested it in this panel.
 */
import { isPending } from '../protocol/status.js';
import type { ISnapshot } from '../protocol/types.js';
import type { ShowMessage } from './controls.js';
import { element, setText } from './dom.js';

/** A toggle; nothing of it is saved, so opening a notebook never notifies and never requests permission. */
export class FinishNotification {
  readonly node = element('button', 'jt-Button', 'Notify me');
  private _isOn = false;

  constructor(private readonly _showMessage: ShowMessage) {
    this.node.type = 'button';
    this.node.title = 'a desktop notification when the run is over, as long as this page is open';
    this.node.setAttribute('aria-pressed', 'false');
    this.node.hidden = !('Notification' in window);
    this.node.addEventListener('click', () => void this._toggle());
  }

  /** Notifies once, when the run is over. */
  update(snapshot: ISnapshot): void {
    if (!this._isOn || isPending(snapshot.status)) {
      return;
    }
    this._set(false);
    const last = snapshot.statusLine[snapshot.statusLine.length - 1];
    const body = snapshot.message || (last === undefined ? '' : `${last.label} ${last.value}`);
    const notification = new Notification(`${snapshot.ref} ${snapshot.statusText}`, {
      body,
      tag: snapshot.run
    });
    notification.onclick = () => {
      window.focus();
      this.node.closest('.jt-Panel')?.scrollIntoView({ block: 'nearest' });
    };
  }

  private async _toggle(): Promise<void> {
    if (this._isOn) {
      this._set(false);
      return;
    }
    const permission =
      Notification.permission === 'default'
        ? await Notification.requestPermission()
        : Notification.permission;
    if (permission === 'granted') {
      this._set(true);
    } else {
      this._showMessage(
        'this browser does not allow notifications from here; its site settings change that'
      );
    }
  }

  private _set(isOn: boolean): void {
    this._isOn = isOn;
    setText(this.node, isOn ? 'Will notify' : 'Notify me');
    this.node.setAttribute('aria-pressed', String(isOn));
  }
}
