// Implements a chat of two devices.
import type { FormEvent } from 'react';
import { useCouplet } from './use-couplet.js';

export function App({ url }: { url: string }) {
  const { state, code, path, messages, files, error, invite, accept, send, sendFile, close } =
    useCouplet(url);

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
