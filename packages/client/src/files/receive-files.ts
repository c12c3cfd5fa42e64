// Receives the files that the peer sends, and connects each transfer to the channels of its sender.
import { systemClock } from '../clock.js';
import { CoupletError } from '../errors.js';
import { decodeOffer, LABEL } from './file-messages.js';
import { IncomingFile } from './incoming-file.js';
import type { FileSession } from './send-file.js';

/** Time for the sender to continue after a reconnect. Later it has lost the file, for example because its page was reloaded. */
const CONTINUE_WITHIN_MS = 30_000;

/** Most files of a session that are offered or being received at once. */
const MAX_OPEN_FILES = 1000;

/**
 * Calls the listener with each file that the peer sends by `sendFile`. Call it once for each session, as soon as the
 * application has it. The sender repeats an offer for 14 seconds, so an earlier offer is not lost.
 *
 * @returns a function that stops receiving, and cancels the files that are not complete
 */
export function receiveFiles(
  session: FileSession,
  listener: (file: IncomingFile) => void,
): () => void {
  /** By the id of the offer. Files that have ended are kept too: the sender may ask again after a reconnect. */
  const files = new Map<string, IncomingFile>();
  let pc: RTCPeerConnection | undefined;
  let cancelTimer = () => {};

  const endAll = (error: CoupletError, which = (_: IncomingFile) => true) => {
    for (const file of files.values()) if (which(file)) file.fail(error);
  };
  const awaitSenders = () => {
    cancelTimer();
    cancelTimer = systemClock.after(CONTINUE_WITHIN_MS, () => {
      if (session.state !== 'connected') return;
      const message = 'The other device did not continue to send the file.';
      endAll(new CoupletError('not_connected', message), (file) => !file.isAttached);
    });
  };
  const onChannel = ({ channel }: RTCDataChannelEvent) => {
    if (channel.label !== LABEL) return;
    const offer = decodeOffer(channel.protocol);
    const known = offer && files.get(offer.id);
    if (files.size >= MAX_OPEN_FILES && !known) forgetEnded(files);
    if (!offer || (files.size >= MAX_OPEN_FILES && !known)) {
      channel.close();
      return;
    }
    const file = known ?? new IncomingFile(offer);
    files.set(offer.id, file);
    channel.onclose = () => {
      file.detach(channel);
      if (file.isOpen) awaitSenders();
    };
    file.attach(channel);
    if (!known) listener(file);
  };
  const follow = (peer: RTCPeerConnection | undefined) => {
    pc?.removeEventListener('datachannel', onChannel);
    pc = peer;
    pc?.addEventListener('datachannel', onChannel);
    for (const file of files.values()) file.detach();
  };

  follow(session.peer);
  const stops = [
    session.on('peer', follow),
    session.on('peer-left', () => endAll(new CoupletError('not_connected'))),
    session.on('state', (state) => {
      if (state === 'connected') awaitSenders();
      if (state === 'closed') stop(new CoupletError('closed'));
    }),
  ];
  const stop = (error = new CoupletError('aborted')) => {
    for (const each of stops) each();
    cancelTimer();
    endAll(error);
    pc?.removeEventListener('datachannel', onChannel);
  };
  return () => stop();
}

function forgetEnded(files: Map<string, IncomingFile>): void {
  for (const [id, file] of files) if (!file.isOpen) files.delete(id);
}
