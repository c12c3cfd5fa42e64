// The few things that every view does with the document.

/** The element of that id; a page without it is a bug, and says so at once. */
export function byId<Tag extends keyof HTMLElementTagNameMap>(
  id: string,
  tag: Tag,
): HTMLElementTagNameMap[Tag] {
  const found = document.getElementById(id);
  if (found?.localName !== tag) throw new Error(`the page has no <${tag} id="${id}">`);
  return found as HTMLElementTagNameMap[Tag];
}

/** A new element with a class and its content. Text stays text: nothing that a peer sends is ever parsed. */
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

/** Has screen readers say what happened where nobody looks. */
export function announce(text: string): void {
  byId('announcer', 'p').textContent = text;
}

/** Shows what went wrong, on top of the page, until it is dismissed or the next thing is tried. */
export function showProblem(text: string): void {
  byId('problem', 'div').hidden = false;
  byId('problem-text', 'p').textContent = text;
}

export function hideProblem(): void {
  byId('problem', 'div').hidden = true;
  byId('problem-text', 'p').textContent = '';
}

/** Of the views beside each other, shows this one and brings the focus to its heading. */
export function showView(name: 'start' | 'waiting' | 'invite' | 'session' | 'alarm'): void {
  for (const view of document.querySelectorAll<HTMLElement>('[data-view]')) {
    view.hidden = view.dataset.view !== name;
  }
  byId(`${name}-title`, 'h1').focus();
}
