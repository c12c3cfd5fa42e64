// GET /metrics: its values after a known session, and that no label value comes from a client.

import { METHODS } from 'node:http';
import { call, createPending, pairDevices, someCode } from '@couplet/testkit/api';
import { Peer, refusedHandshake } from '@couplet/testkit/peer';
import { scrape } from '@couplet/testkit/prometheus';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { Metrics } from '../../src/observability/metrics.js';
import { openSqliteStore } from '../../src/pairing/sqlite/store.js';
import { rawRequest, request } from '../support/raw-http.js';

/** A server for this test alone, so that no other test changes its counters. */
async function server(env: Record<string, string> = {}) {
  const metrics = new Metrics();
  const started = await serverForTest(env, { metrics });
  return { ...started, metrics };
}

test('an operator gets the Prometheus text format', async () => {
  const { url, metrics } = await server();
  const answer = await fetch(`${url}/metrics`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const { types, value } = await scrape(url);
  expect(value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0);
  for (const { name, type } of metrics.descriptions) expect(types.get(name), name).toBe(type);
});

test('after a known session the metrics have the exact values', async () => {
  const { url, wsUrl } = await server();
  const { roomid, client1, client2 } = await pairDevices(url);
  await createPending(url);
  const guess = { joinid: someCode(), client2: 'guesser' };
  expect((await call(url, 'POST', '/api/rooms/accept', guess)).status).toBe(404);

  const [first, second] = [await Peer.connect(wsUrl), await Peer.connect(wsUrl)];
  first.send({ type: 'webrtc_offer', sdp: 'too early' });
  await first.next('error');
  await first.join(roomid, client1);
  first.send({ type: 'webrtc_offer', sdp: 'alone' });
  await first.next('error');
  await second.join(roomid, client2);
  await second.next('room_ready');
  await first.next('room_ready');
  first.send({ type: 'webrtc_offer', sdp: 'v=0' });
  await second.next('webrtc_offer');
  second.send({ type: 'webrtc_answer', sdp: 'v=0' });
  await first.next('webrtc_answer');
  for (let n = 0; n < 3; n++) first.send({ type: 'ice_candidate', candidate: null });
  for (let n = 0; n < 3; n++) await second.next('ice_candidate');
  first.send('no JSON');
  await first.next('error');
  await refusedHandshake(`${wsUrl}/elsewhere`);

  const { value } = await scrape(url);
  const requests = (route: string, status: number, method = 'POST') =>
    value('couplet_http_requests_total', { method, route, status: String(status) });
  expect(requests('/api/rooms', 201)).toBe(2);
  expect(requests('/api/rooms/accept', 200)).toBe(1);
  expect(requests('/api/rooms/accept', 404)).toBe(1);
  expect(requests('/api/rooms/check', 200)).toBe(1);
  expect(requests('/metrics', 200, 'GET')).toBeUndefined();
  const accepts = { method: 'POST', route: '/api/rooms/accept' };
  expect(value('couplet_http_request_duration_seconds_count', accepts)).toBe(2);
  expect(value('couplet_failed_guesses_total', { kind: 'accept' })).toBe(1);
  expect(value('couplet_failed_guesses_total', { kind: 'check' })).toBe(0);
  expect(value('couplet_guessing_addresses', { kind: 'accept' })).toBe(1);
  expect(value('couplet_guess_alarm')).toBe(0);
  expect(value('couplet_pendings')).toBe(1);
  expect(value('couplet_rooms')).toBe(1);
  expect(value('couplet_store_duration_seconds_count', { operation: 'create' })).toBe(2);
  expect(value('couplet_store_duration_seconds_count', { operation: 'accept' })).toBe(2);
  expect(value('couplet_store_failures_total', { operation: 'accept' })).toBe(0);
  expect(value('couplet_connections')).toBe(2);
  expect(value('couplet_connections_opened_total')).toBe(2);
  expect(value('couplet_live_rooms')).toBe(1);
  const messages = { join_room: 2, leave_room: 0, webrtc_offer: 3, webrtc_answer: 1 };
  for (const [type, count] of Object.entries({ ...messages, ice_candidate: 3, ping: 0 })) {
    expect(value('couplet_messages_total', { type }), type).toBe(count);
  }
  const forwards = { webrtc_offer: 1, webrtc_answer: 1, ice_candidate: 3, key_exchange: 0 };
  for (const [type, count] of Object.entries(forwards)) {
    expect(value('couplet_forwards_total', { type }), type).toBe(count);
  }
  const drops = { no_room: 1, no_peer: 1, fault: 1, rate: 0, peer_gone: 0, unavailable: 0 };
  for (const [cause, count] of Object.entries(drops)) {
    expect(value('couplet_drops_total', { cause }), cause).toBe(count);
  }
  expect(value('couplet_refused_handshakes_total', { cause: 'path' })).toBe(1);
  expect(value('couplet_refused_handshakes_total', { cause: 'total' })).toBe(0);
  expect(value('couplet_ready', { check: 'store' })).toBe(1);
  expect(value('couplet_limit', { resource: 'connections' })).toBe(50_000);
});

test('no value that a client invents becomes a label value: methods, paths, queries, types, bytes', async () => {
  const { url, wsUrl, metrics } = await server();
  const strange = ['/etc/passwd', '/api/rooms/1', '/api/rooms?roomid=secret', '/%ff', '/a"b', '//'];
  for (const method of METHODS.filter((name) => name !== 'CONNECT')) {
    for (const path of strange) {
      await rawRequest(url, request(`${method} ${path}`));
    }
  }
  await rawRequest(url, 'GARBAGE /{couplet="1"} HTTP/1.1\r\n\r\n');
  await rawRequest(url, `GET / HTTP/1.1\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`);
  const peer = await Peer.connect(wsUrl);
  for (const type of ['constructor', '__proto__', 'hasOwnProperty', 'x"} 1']) peer.send({ type });
  await peer.sync();

  const seen = await scrape(url);
  const routes = ['/', '/api/rooms', '/metrics', '*', 'none'];
  for (const { name, labels } of metrics.descriptions) {
    for (const [label, allowed] of Object.entries(labels)) {
      const values = seen.labelValues(name, label);
      if (typeof allowed !== 'string')
        expect(allowed, name).toEqual(expect.arrayContaining(values));
      else if (label === 'route') expect(routes, name).toEqual(expect.arrayContaining(values));
      else expect(values.join(), name).toMatch(/^\d{3}(,\d{3})*$/);
    }
  }
  expect(seen.labelValues('couplet_http_requests_total', 'method')).toContain('other');
  expect(seen.value('couplet_drops_total', { cause: 'fault' })).toBe(4);
  expect(seen.value('couplet_http_malformed_total', { code: 'invalid_request' })).toBe(1);
  expect(seen.value('couplet_http_malformed_total', { code: 'headers_too_large' })).toBe(1);
});

test('if the store fails, the other metrics stay readable, and the failure is counted', async () => {
  const store = openSqliteStore(':memory:');
  const metrics = new Metrics();
  const broken = await serverForTest({}, { store, metrics });
  await store.close();
  const pending = { joinid: someCode(), client1: 'a', expiresInSeconds: 60 };
  expect((await call(broken.url, 'POST', '/api/rooms', pending)).status).toBe(500);
  const { value } = await scrape(broken.url);
  expect(value('couplet_pendings')).toBeUndefined();
  expect(value('couplet_connections')).toBe(0);
  expect(value('couplet_store_failures_total', { operation: 'create' })).toBe(1);
  expect(value('couplet_ready', { check: 'store' })).toBe(0);
});
