/**
 * Elements of the page. Strings become text nodes, never markup.
 */

/** Returns a new element with a class and a text. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text = ''
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  node.className = className;
  if (text !== '') {
    node.textContent = text;
  }
  return node;
}

/** Sets an element's text; touches the page only when it changes. */
export function setText(node: Element, text: string): void {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}
