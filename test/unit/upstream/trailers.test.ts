import { expect, test } from 'vitest'
import { clientTrailers } from '../../../src/upstream/trailers.ts'

test('trailers of a call pass: status, message and metadata', () => {
  const trailers = { 'grpc-status': '0', 'grpc-message': 'fine', 'x-metadata': ['a', 'b'], 'trace-bin': 'AAE=' }
  expect(clientTrailers(trailers)).toEqual({ ...trailers, 'x-metadata': 'a, b' })
})

test.each([
  'content-length',
  'content-type',
  'transfer-encoding',
  'set-cookie',
  'www-authenticate',
  'authorization',
  'location',
  'cache-control',
  'vary',
  'strict-transport-security',
  'access-control-allow-origin',
  'x-request-id',
  'connection',
  'trailer',
  ':status',
  'with space',
])('what only a header may say does not come as a trailer: %s', (name) => {
  expect(clientTrailers({ [name]: 'x' })).toBeUndefined()
})

test('a control character in a value drops the trailer', () => {
  expect(clientTrailers({ 'grpc-message': 'a\r\nset-cookie: x=1', 'grpc-status': '2' })).toEqual({ 'grpc-status': '2' })
})
