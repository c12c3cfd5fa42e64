// Implements the tabs pattern of the ARIA Authoring Practices: one tab stop, arrow keys between the tabs.
import { byId } from './dom.js';

export type TabName = 'chat' | 'files' | 'call' | 'connection';
const NAMES: readonly TabName[] = ['chat', 'files', 'call', 'connection'];

const tab = (name: TabName) => byId(`tab-${name}`, 'button');

export function startTabs(): void {
  for (const name of NAMES) tab(name).addEventListener('click', () => selectTab(name));
  byId('tabs', 'div').addEventListener('keydown', (event) => {
    const at = NAMES.findIndex((name) => tab(name) === document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    const next = to === undefined || at < 0 ? undefined : NAMES.at(to % NAMES.length);
    if (next === undefined) return;
    event.preventDefault();
    selectTab(next);
    tab(next).focus();
  });
}

export function selectTab(selected: TabName): void {
  for (const name of NAMES) {
    const isSelected = name === selected;
    tab(name).setAttribute('aria-selected', String(isSelected));
    tab(name).tabIndex = isSelected ? 0 : -1;
    byId(`panel-${name}`, 'div').hidden = !isSelected;
  }
  tab(selected).classList.remove('unread');
  tab(selected).removeAttribute('aria-description');
}

export const isSelected = (name: TabName): boolean => !byId(`panel-${name}`, 'div').hidden;

/** Marks a tab with new content, unless it is selected. */
export function markUnread(name: TabName, what: string): void {
  if (isSelected(name)) return;
  tab(name).classList.add('unread');
  tab(name).setAttribute('aria-description', what);
}
