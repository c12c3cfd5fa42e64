// Entry point of the TypeBox schemas, for servers and tests. Clients import the types from the main entry.
export * from './client-messages.js';
export * from './ice.js';
export * from './ids.js';
export * from './push.js';
export * from './rest.js';
export * from './server-messages.js';
