import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseHeaderTemplate } from '../../../src/config/compile/header-template.ts'

const IDENTITY = new Set(['x-corp-user'])
const parse = (value: string) => parseHeaderTemplate(value, IDENTITY)
const template = (value: string) => {
  const parsed = parse(value)
  return parsed.kind === 'template' ? parsed.template : parsed.problem
}
const claim = (...path: readonly string[]) => ({ kind: 'claim', path })
const email = { kind: 'user', field: 'email' }

test.each<[value: string, parts: readonly unknown[]]>([
  ['plain', ['plain']],
  ['', []],
  ['US$$5', ['US$5']],
  ['$$$$', ['$$']],
  ['$${user.email}', ['${user.email}']],
  ['costs $', ['costs $']],
  ['$ 5', ['$ 5']],
  ['${', ['${']],
  ['${}', ['${}']],
  ['${user.email', ['${user.email']],
  ['${claims["a', ['${claims["a']],
  ['$user.email.', ['$user.email.']],
  ['${user.email}', [email]],
  ['$user.email', [email]],
  ['${  user\t.  email }', [email]],
  ['a ${user.email}, ${user.id}!', ['a ', email, ', ', { kind: 'user', field: 'id' }, '!']],
  ['$user.email/$user.name', [email, '/', { kind: 'user', field: 'name' }]],
  ['${user.groups}', [{ kind: 'user', field: 'groups' }]],
  ['Bearer $pomerium.jwt', ['Bearer ', { kind: 'assertion' }]],
  ['${pomerium.jwt}', [{ kind: 'assertion' }]],
  ['${pomerium.client_cert_fingerprint}', [{ kind: 'client-certificate', field: 'fingerprint' }]],
  ['$pomerium.client_cert_san_dns', [{ kind: 'client-certificate', field: 'dns' }]],
  ['${pomerium.client_cert_san_email}', [{ kind: 'client-certificate', field: 'email' }]],
  ['${claims.email}', [claim('email')]],
  ['${claims.address.country}', [claim('address', 'country')]],
  ['${claims["https://corp.example/role"].main}', [claim('https://corp.example/role', 'main')]],
  ['${claims["a\\"\\\\"]}', [claim('a"\\')]],
  ['${claims["__proto__"]}', [claim('__proto__')]],
  ['${pomerium.request.headers["X-Trace"]}', [{ kind: 'request-header', name: 'x-trace' }]],
  ['$pomerium.request.headers.X-Trace', [{ kind: 'request-header', name: 'x-trace' }]],
])('%s', (value, parts) => {
  expect(template(value)).toEqual(parts)
})

test.each<[value: string, problem: RegExp]>([
  ['${pomerium.access_token}', /for Postern alone/],
  ['$pomerium.id_token', /for Postern alone/],
  ['${pomerium.client_cert_serial}', /expected a reference/],
  ['${pomerium.client_cert_san_dns.first}', /expected a reference/],
  ['$5', /found "5"; write \$\$ for a dollar/],
  ['${user}', /expected a reference/],
  ['${user.mail}', /expected a reference/],
  ['${user.email.x}', /expected a reference/],
  ['${claims}', /expected a reference/],
  ['${pomerium.jwt.x}', /expected a reference/],
  ['${constructor.name}', /expected a reference/],
  ['${pomerium.request.headers}', /expected a reference/],
  ['${pomerium.request.headers["Cookie"]}', /credentials/],
  ['${pomerium.request.headers["authorization"]}', /credentials/],
  ['${pomerium.request.headers["X-Corp_User"]}', /no client may say/],
  ['${pomerium.request.headers["Remote-User"]}', /no client may say/],
  ['${pomerium.request.headers["X-Pomerium-Jwt-Assertion"]}', /no client may say/],
])('%s is refused', (value, problem) => {
  expect(template(value)).toMatch(problem)
})

test('says that what begins like a reference is sent as it is', () => {
  const warningOf = (value: string) => {
    const parsed = parse(value)
    return parsed.kind === 'template' ? parsed.warning : undefined
  }
  for (const value of ['${', '${user.email', '$user.email.']) expect(warningOf(value)).toMatch(/write \$\$/)
  for (const value of ['$', '$ 5', '$$', '$${', '${user.email}']) expect(warningOf(value)).toBeUndefined()
})

test('text with its dollars doubled is that text', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(parse(text.replaceAll('$', '$$$$'))).toEqual({ kind: 'template', template: text === '' ? [] : [text] })
    }),
  )
})

test('every value is read to its end', () => {
  const pieces = fc.constantFrom('$', '{', '}', '[', ']', '"', '\\', '.', ' ', 'user', 'email', 'claims', 'a', '-')
  fc.assert(
    fc.property(fc.array(pieces), (list) => {
      expect(parse(list.join('')).kind).toMatch(/template|invalid/)
    }),
  )
})
