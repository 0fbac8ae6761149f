import { expect, test } from 'vitest'
import { createIdentityProviders } from '../../../src/identity/providers.ts'
import type { IdentityProvider } from '../../../src/types.ts'

const idp = (name: string, issuer: string) => ({ name, issuer }) as IdentityProvider
const STAFF = idp('staff', 'https://org.okta.example')
const PARTNERS = idp('partners', 'https://login.partner.example/realms/one')
const idps = createIdentityProviders([STAFF, PARTNERS])

const session = (issuer: string, provider?: string) => ({
  identity: { issuer, subject: 'ann', claims: {} },
  ...(provider !== undefined && { provider }),
})

test('a session comes from the provider that it names, and an older one from the default', () => {
  expect(idps.of(session(STAFF.issuer, 'staff'))).toBe(STAFF)
  expect(idps.of(session(PARTNERS.issuer, 'partners'))).toBe(PARTNERS)
  expect(idps.of(session(STAFF.issuer))).toBe(STAFF)
  expect(idps.of(session(`${PARTNERS.issuer}/`, 'partners'))).toBe(PARTNERS)
})

test('a session comes from nobody when its provider is gone, or has another issuer now', () => {
  expect(idps.of(session(STAFF.issuer, 'gone'))).toBeUndefined()
  expect(idps.of(session(PARTNERS.issuer, 'staff'))).toBeUndefined()
  expect(idps.of(session(PARTNERS.issuer))).toBeUndefined()
  expect(idps.of(session(STAFF.issuer, '__proto__'))).toBeUndefined()
})

test('names lead to providers', () => {
  expect(idps.named('partners')).toBe(PARTNERS)
  expect(idps.named('gone')).toBeUndefined()
})
