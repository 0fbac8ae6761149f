import { expect, test } from 'vitest'
import { misdirected } from '../../../src/routing/certificates.ts'
import { facts } from '../upstream/support.ts'

/** Hosts of one letter have a certificate of their own. */
const certificates = { find: () => undefined, stand: (serverName: string, host: string) => serverName[0] === host[0] }
const connection = { serverName: 'a.test', downstreamMtls: '1', certificate: undefined }

test.each([
  ['the host of the connection', { host: 'a.test' }, connection, '1', undefined],
  ['another host of the same certificate', { host: 'also.test' }, connection, '1', undefined],
  ['a host with another certificate', { host: 'b.test' }, connection, '1', 'made for a host with another certificate'],
  ['the same by a trusted hop', { host: 'b.test', hop: true }, connection, '1', undefined],
  ['any host, when none was named', { host: 'b.test' }, { ...connection, serverName: undefined }, '1', undefined],
  ['plain HTTP', { host: 'b.test' }, undefined, '1', undefined],
  ['clients that are asked by another authority now', { host: 'a.test' }, connection, '2', 'has changed'],
  ['clients that are asked no more', { host: 'a.test' }, connection, undefined, 'has changed'],
  ['the same by a trusted hop', { host: 'a.test', hop: true }, connection, '2', 'has changed'],
])('%s', (_, asked, made, version, problem) => {
  const found = misdirected(facts(asked), made, certificates, version === undefined ? undefined : { version })
  if (problem === undefined) expect(found).toBeUndefined()
  else expect(found).toMatchObject({ status: 421, detail: expect.stringContaining(problem) })
})
