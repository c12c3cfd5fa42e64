// Shows the connection test: a button, the steps, and a summary.
import { type Step, testConnection } from './connection-test.js';
import { couplet } from './device.js';
import { announce, byId, make } from './dom.js';
import { duration } from './format.js';

export function startTestPage(): void {
  const run = byId('run-test', 'button');
  run.addEventListener('click', () => void test(run));
}

async function test(run: HTMLButtonElement): Promise<void> {
  const [report, steps, list] = [
    byId('test-report', 'div'),
    byId('test-steps', 'ol'),
    byId('test-findings', 'ul'),
  ];
  const progress = byId('test-progress', 'p');
  if (run.ariaDisabled === 'true') return;
  // Not `disabled`, because the button would lose the keyboard focus.
  run.ariaDisabled = 'true';
  progress.textContent = 'Testing. A server that does not answer takes about ten seconds.';
  steps.replaceChildren();
  list.replaceChildren(make('li', '', 'Not finished yet.'));
  report.hidden = false;
  const found = await testConnection(couplet, {
    // Never aborted: leaving the page is the only way to stop the test.
    signal: new AbortController().signal,
    onStep: (step) => steps.append(stepItem(step)),
  });
  list.replaceChildren(...found.map(({ tone, text }) => make('li', tone, text)));
  progress.textContent = 'Done.';
  announce(found.map(({ text }) => text).join(' '));
  run.textContent = 'Test again';
  run.ariaDisabled = null;
}

function stepItem({ name, tone, verdict, text, milliseconds }: Step): HTMLLIElement {
  const time = milliseconds === undefined ? '' : ` in ${duration(milliseconds)}`;
  return make(
    'li',
    tone,
    make('strong', '', name),
    make('span', 'verdict', `${verdict}${time}`),
    make('span', 'hint', text),
  );
}
