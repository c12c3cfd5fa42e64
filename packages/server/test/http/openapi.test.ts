// The OpenAPI document is generated at the first request for it. test/openapi.test.ts tests its content.
import fastify from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { describeRoutes } from '../../src/http/openapi.js';

const newApp = () => {
  const app = fastify();
  onTestFinished(() => app.close());
  return app;
};

const withRoute = () => {
  const app = newApp();
  app.get('/here', () => 'here');
  return app;
};

test('after a failure, the document is generated at the next request', async () => {
  // The first app already has the described route, which is an error.
  const apps = [withRoute(), newApp()];
  const app = newApp();
  describeRoutes(app, () => apps.shift() as ReturnType<typeof newApp>);
  app.get('/here', () => 'here');
  expect((await app.inject('/openapi.json')).statusCode).toBe(500);
  const second = await app.inject('/openapi.json');
  expect(second.statusCode).toBe(200);
  expect(Object.keys(second.json().paths)).toEqual(['/here']);
  expect((await app.inject('/openapi.json')).json()).toEqual(second.json());
  expect(apps).toHaveLength(0);
});
