// Implements the tabs pattern of the ARIA Authoring Practices: one tab stop, arrow keys between the tabs.
import { byId } from './dom.js';

export type TabName = 'chat' | 'files' | 'call' | 'connection';
const NAMES: readonly TabName[] = ['chat', 'files', 'call', 'connection'];

/** On a wide window, the chat is visible beside the selected tab. */
const wide = matchMedia('(min-width: 84rem)');

let selected: TabName = 'chat';

const tab = (name: TabName) => byId(`tab-${name}`, 'button');

export function startTabs(): void {
  for (const name of NAMES) tab(name).addEventListener('click', () => selectTab(name));
  byId('tabs', 'div').addEventListener('keydown', (event) => {
    const names = NAMES.filter((name) => !tab(name).hidden);
    const at = names.findIndex((name) => tab(name) === document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    const next = to === undefined || at < 0 ? undefined : names.at(to % names.length);
    if (next === undefined) return;
    event.preventDefault();
    selectTab(next);
    tab(next).focus();
  });
  wide.addEventListener('change', show);
}

export function selectTab(name: TabName): void {
  selected = name;
  show();
}

function show(): void {
  const shown = wide.matches && selected === 'chat' ? 'files' : selected;
  for (const name of NAMES) {
    const isShown = name === shown;
    tab(name).setAttribute('aria-selected', String(isShown));
    tab(name).tabIndex = isShown ? 0 : -1;
    byId(`panel-${name}`, 'div').hidden = !isShown && !(wide.matches && name === 'chat');
    if (!isSelected(name)) continue;
    tab(name).classList.remove('unread');
    tab(name).removeAttribute('aria-description');
  }
  tab('chat').hidden = wide.matches;
}

/** Whether the user sees the content of a tab. */
export const isSelected = (name: TabName): boolean => !byId(`panel-${name}`, 'div').hidden;

/** Marks a tab with new content, unless it is selected. */
export function markUnread(name: TabName, what: string): void {
  if (isSelected(name)) return;
  tab(name).classList.add('unread');
  tab(name).setAttribute('aria-description', what);
}
