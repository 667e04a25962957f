/**
 * Small helpers to build elements. Strings only ever become text nodes.
 */

/** A new element with a class and, if given, a text. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text = ''
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== '') {
    made.textContent = text;
  }
  return made;
}

/** Sets an element's text, touching the page only when it changes. */
export function setText(node: Element, text: string): void {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}
