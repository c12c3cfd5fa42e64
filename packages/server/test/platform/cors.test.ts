// Origins of the configuration as a list.
import { expect, test } from 'vitest';
import { originList } from '../../src/platform/cors.js';

test('* is any origin', () => {
  expect(originList({ allowedOrigins: '*' })).toBeNull();
});

test('a list is split at its commas', () => {
  expect(originList({ allowedOrigins: 'https://a.example' })).toEqual(['https://a.example']);
  expect(originList({ allowedOrigins: 'https://a.example , http://b.example:81' })).toEqual([
    'https://a.example',
    'http://b.example:81',
  ]);
});
