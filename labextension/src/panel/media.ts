/**
 * Thumbnails of logged images and figures.
 */
import type { IMediaItem } from '../protocol/types.js';
import { element } from './dom.js';

/** A row of thumbnails with their names and steps. */
export class Media {
  readonly node = element('div', 'jt-Media');
  private _drawnKey = '';

  /** Shows the newest images. */
  update(media: IMediaItem[]): void {
    const images = media.filter(item => item.thumbnail !== '');
    const key = JSON.stringify(images);
    if (key === this._drawnKey) {
      return;
    }
    this._drawnKey = key;
    this.node.replaceChildren(...images.map(figureElement));
  }
}

function figureElement(item: IMediaItem): HTMLElement {
  const label = `${item.name} · step ${item.step.toLocaleString('en-US')}`;
  const figure = element('figure', 'jt-Medium');
  const image = element('img', '');
  image.src = item.thumbnail;
  image.alt = item.caption === '' ? label : `${label}: ${item.caption}`;
  figure.append(image, element('figcaption', '', label));
  return figure;
}
