// Shows that a device was refused: what happened, what it may mean, and what to do.
import type { CoupletError } from '@couplet/client';
import { byId, make, showView } from './dom.js';

interface Alarm {
  title: string;
  lead: string;
  /** Each with its first words, which are emphasized. */
  causes: readonly (readonly [string, string])[];
  steps: readonly string[];
  /** Whether the user can connect to the same device again. */
  canResume?: boolean;
}

const INTERCEPTED = [
  'Somebody tried to intercept the connection',
  ', perhaps on the server.',
] as const;
const NEW_INVITE = [
  'Create a new invite, and use its code on the other device.',
  'If this page appears again although the code is right: do not use this server.',
];
const RELOADED =
  'Ask the other person, over the phone or face to face, whether the page was reloaded.';

const CODE_MISMATCH: Alarm = {
  title: 'Stop: the devices have different codes',
  lead: 'This page refused the connection. Nothing was sent to the other device.',
  causes: [['Another code was entered', ' on one of the devices. This is harmless.'], INTERCEPTED],
  steps: NEW_INVITE,
};

const UNVERIFIED_PEER: Alarm = {
  title: 'Stop: the other device was not verified',
  lead: 'It did not prove that it is the device you paired with. This page refused it. Nothing was sent to it.',
  causes: [
    ['The other device lost its connection', ' at that moment, or its page was closed.'],
    ['Its page or app cannot verify', ' because it is old, or only six digits were entered.'],
    INTERCEPTED,
  ],
  steps: NEW_INVITE,
};

const PEER_CHANGED: Alarm = {
  title: 'Stop: this is not the device you verified',
  lead: 'You compared safety numbers with the other device. A different device has now tried to take its place. This page refused it and ended the session. Nothing was sent to it.',
  causes: [
    [
      'The other page was reloaded',
      ', or left and came back. This is harmless, but it looks the same from here.',
    ],
    INTERCEPTED,
  ],
  steps: [
    RELOADED,
    'If yes: connect again. If the session is then not verified, compare the safety numbers again before you write anything.',
    'If no: do not use this server.',
  ],
  canResume: true,
};

const DIFFERENT_DIGITS: Alarm = {
  title: 'Stop: the safety numbers are different',
  lead: 'This page ended the session. Other people may have read what was sent in it.',
  causes: [['A digit was misread', '. This is harmless.'], INTERCEPTED],
  steps: [
    'Create a new invite, and compare again.',
    'If the numbers are different again: do not use this server.',
  ],
};

const ALARMS = {
  code_mismatch: CODE_MISMATCH,
  unverified_peer: UNVERIFIED_PEER,
  peer_changed: PEER_CHANGED,
  different_digits: DIFFERENT_DIGITS,
};

export type AlarmName = keyof typeof ALARMS;

/** The alarm for an error of a session; undefined for errors that are none. */
export const alarmOf = ({ code }: CoupletError): AlarmName | undefined =>
  code in ALARMS ? (code as AlarmName) : undefined;

export function showAlarm(name: AlarmName): void {
  const { title, lead, causes, steps, canResume = false }: Alarm = ALARMS[name];
  byId('alarm-title', 'h1').textContent = title;
  byId('alarm-lead', 'p').textContent = lead;
  byId('alarm-causes', 'ul').replaceChildren(
    ...causes.map(([what, more]) => make('li', '', make('strong', '', what), more)),
  );
  byId('alarm-steps', 'ol').replaceChildren(...steps.map((step) => make('li', '', step)));
  byId('alarm-resume', 'button').hidden = !canResume;
  byId('alarm-invite', 'button').hidden = canResume;
  showView('alarm');
}
