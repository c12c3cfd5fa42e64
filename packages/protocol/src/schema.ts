// Barrel of the TypeBox schemas, for servers and tests; clients take the types from the main entry instead.
export * from './client-messages.js';
export * from './ice.js';
export * from './ids.js';
export * from './rest.js';
export * from './server-messages.js';
