// Renders the application into the page.
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.js';

const url = import.meta.env.VITE_COUPLET_URL ?? 'http://localhost:8080';
const root = document.querySelector('#root') as HTMLElement;
createRoot(root).render(
  <StrictMode>
    <App url={url} />
  </StrictMode>,
);
