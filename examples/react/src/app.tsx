// Implements a chat of two devices, with files and calls.
import type { PeerSession } from '@couplet/client';
import type { FormEvent } from 'react';
import { useCall } from './use-call.js';
import { useCouplet } from './use-couplet.js';

export function App({ url }: { url: string }) {
  const {
    state,
    code,
    session,
    path,
    messages,
    files,
    error,
    invite,
    accept,
    send,
    sendFile,
    close,
  } = useCouplet(url);

  /** Passes on the text of the form's only field. */
  const take = (use: (text: string) => void) => (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    use(String(new FormData(form).get('text')));
    form.reset();
  };

  return (
    <main>
      <p role="status">
        {state}
        {path && ` (${path})`}
      </p>
      {error && <p role="alert">{error.message}</p>}
      {state === 'idle' ? (
        <>
          <button type="button" onClick={invite}>
            Create a code
          </button>
          <form onSubmit={take(accept)}>
            <input name="text" aria-label="Code" inputMode="numeric" required />
            <button type="submit">Join</button>
          </form>
        </>
      ) : (
        <button type="button" onClick={close}>
          Leave
        </button>
      )}
      {state === 'pairing' && code && <output>{code}</output>}
      {session && <Call session={session} />}
      <ul>
        {messages.map(({ from, text }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines are only added at the end
          <li key={index}>
            {from}: {text}
          </li>
        ))}
      </ul>
      <ul>
        {Object.entries(files).map(([id, { from, name, size, bytes, url, error }]) => (
          <li key={id}>
            {from}:{' '}
            {url ? (
              <a href={url} download={name}>
                {name}
              </a>
            ) : (
              name
            )}{' '}
            {error ? error.message : `${bytes} of ${size} bytes`}
          </li>
        ))}
      </ul>
      {state === 'connected' && (
        <form onSubmit={take(send)}>
          <input name="text" aria-label="Message" autoComplete="off" />
          <button type="submit">Send</button>
          <input
            type="file"
            aria-label="Files"
            multiple
            onChange={({ target }) => {
              for (const file of target.files ?? []) sendFile(file);
            }}
          />
        </form>
      )}
    </main>
  );
}

function Call({ session }: { session: PeerSession }) {
  const { state, received, call, hangUp } = useCall(session);
  const [track] = received;
  return (
    <section>
      {(state === 'none' || state === 'ringing') && (
        <button type="button" onClick={() => void call()}>
          {state === 'ringing' ? 'Answer' : 'Call'}
        </button>
      )}
      {state !== 'none' && (
        <button type="button" onClick={hangUp}>
          {state === 'ringing' ? 'Decline' : 'Hang up'}
        </button>
      )}
      {track && (
        <video
          autoPlay
          playsInline
          ref={(video) => {
            if (video && video.srcObject !== track.stream) video.srcObject = track.stream;
          }}
        >
          <track kind="captions" />
        </video>
      )}
    </section>
  );
}
