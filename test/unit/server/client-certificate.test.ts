import { expect, test } from 'vitest'
import { subjectAltNames } from '../../../src/server/client-certificate.ts'

const NONE = { dns: [], email: [], ipAddress: [], uri: [], userPrincipalName: [] }

test.each([
  ['', {}],
  ['DNS:a.test', { dns: ['a.test'] }],
  [
    'DNS:a.test, DNS:*.b.test, URI:spiffe://corp/ci, email:ann@corp.example',
    {
      dns: ['a.test', '*.b.test'],
      uri: ['spiffe://corp/ci'],
      email: ['ann@corp.example'],
    },
  ],
  ['IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1', { ipAddress: ['10.0.0.1', '2001:DB8:0:0:0:0:0:1'] }],
  ['othername:UPN:ann@ad.corp, othername:XMPP:ann@corp', { userPrincipalName: ['ann@ad.corp'] }],
  ['DirName:"CN=x\\u002c DNS:evil.test", DNS:a.test', { dns: ['a.test'] }],
  // One name that looks like two.
  ['DNS:"a.test\\u002c DNS:evil.test"', { dns: ['a.test, DNS:evil.test'] }],
  ['URI:"https://a/\\"\\u002c DNS:evil.test"', { uri: ['https://a/", DNS:evil.test'] }],
  ['dns:a.test, Registered ID:1.2.3', {}],
])('%s', (text, names) => {
  expect(subjectAltNames(text)).toEqual({ ...NONE, ...names })
})
