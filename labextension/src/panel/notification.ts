/**
 * "Tell me when it is done": a desktop notification, for whoever asked for it in this very panel.
 */
import { isLive } from '../protocol/status.js';
import type { ISnapshot } from '../protocol/types.js';
import { element, setText } from './dom.js';

/** A switch; nothing of it is saved, so opening a notebook never notifies and never asks to. */
export class Bell {
  readonly node = element('button', 'jt-Button', 'Tell me');
  private _isOn = false;

  constructor(private readonly _say: (text: string) => void) {
    this.node.type = 'button';
    this.node.title = 'a desktop notification when the run is over, as long as this page is open';
    this.node.setAttribute('aria-pressed', 'false');
    this.node.hidden = !('Notification' in window);
    this.node.addEventListener('click', () => void this._toggle());
  }

  /** Notifies once, when a run that was asked for is over. */
  update(snapshot: ISnapshot): void {
    if (!this._isOn || isLive(snapshot.status) || snapshot.status === 'queued') {
      return;
    }
    this._turn(false);
    const words = snapshot.statusLine.map(([label, value]) => `${label} ${value}`);
    const body = snapshot.message || words.slice(-1).join('');
    const shown = new Notification(`${snapshot.ref} ${snapshot.status}`, {
      body,
      tag: snapshot.run
    });
    shown.onclick = () => {
      window.focus();
      this.node.closest('.jt-Panel')?.scrollIntoView({ block: 'nearest' });
    };
  }

  private async _toggle(): Promise<void> {
    if (this._isOn) {
      this._turn(false);
      return;
    }
    const answer =
      Notification.permission === 'default'
        ? await Notification.requestPermission()
        : Notification.permission;
    if (answer === 'granted') {
      this._turn(true);
    } else {
      this._say(
        'this browser does not allow notifications from here; its site settings change that'
      );
    }
  }

  private _turn(isOn: boolean): void {
    this._isOn = isOn;
    setText(this.node, isOn ? 'Will tell' : 'Tell me');
    this.node.setAttribute('aria-pressed', String(isOn));
  }
}
