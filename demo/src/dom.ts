// Provides the document functions that every view uses.

const SVG = 'http://www.w3.org/2000/svg';

/** Returns the element with that id. Throws if the page has none, because that is a bug. */
export function byId<Tag extends keyof HTMLElementTagNameMap>(
  id: string,
  tag: Tag,
): HTMLElementTagNameMap[Tag] {
  const found = document.getElementById(id);
  if (found?.localName !== tag) throw new Error(`the page has no <${tag} id="${id}">`);
  return found as HTMLElementTagNameMap[Tag];
}

/** Creates an element. Strings become text nodes, so text from a peer is never parsed as HTML. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className = '',
  ...content: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  if (className !== '') element.className = className;
  element.append(...content);
  return element;
}

/** The icons of the page. */
export type IconName = 'file' | 'text' | 'image' | 'audio' | 'video' | 'archive' | 'save';

/** Draws an icon. Screen readers skip it, so the text beside it must say the same. */
export function icon(name: IconName): SVGSVGElement {
  const drawn = document.createElementNS(SVG, 'svg');
  drawn.setAttribute('class', 'icon');
  drawn.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#icon-${name}`);
  drawn.append(use);
  return drawn;
}

/** Announces a text to screen readers. */
export function announce(text: string): void {
  byId('announcer', 'p').textContent = text;
}

/** Shows a problem at the top of the page until the user dismisses it or starts another action. */
export function showProblem(text: string): void {
  byId('problem', 'div').hidden = false;
  byId('problem-text', 'p').textContent = text;
}

export function hideProblem(): void {
  byId('problem', 'div').hidden = true;
  byId('problem-text', 'p').textContent = '';
}

/** Shows one view, hides the others, and moves the focus to its heading. */
export function showView(name: 'start' | 'waiting' | 'invite' | 'session' | 'alarm'): void {
  for (const view of document.querySelectorAll<HTMLElement>('[data-view]')) {
    view.hidden = view.dataset.view !== name;
  }
  byId(`${name}-title`, 'h1').focus();
}
