/**
 * Logged images and figures, small.
 */
import type { IMediaItem } from '../protocol/types.js';
import { element } from './dom.js';

/** A row of thumbnails with their names and steps. */
export class Media {
  readonly node = element('div', 'jt-Media');
  private _shown = '';

  /** Shows the newest pictures. */
  update(media: IMediaItem[]): void {
    const pictures = media.filter(medium => medium.thumbnail !== '');
    const now = JSON.stringify(pictures);
    if (now === this._shown) {
      return;
    }
    this._shown = now;
    this.node.replaceChildren(...pictures.map(figureOf));
  }
}

function figureOf(medium: IMediaItem): HTMLElement {
  const label = `${medium.name} · step ${medium.step.toLocaleString('en-US')}`;
  const figure = element('figure', 'jt-Medium');
  const image = element('img', '');
  image.src = medium.thumbnail;
  image.alt = medium.caption === '' ? label : `${label}: ${medium.caption}`;
  figure.append(image, element('figcaption', '', label));
  return figure;
}
