import { describe, expect, test } from 'vitest'
import { groupsFromClaims, isClaimAbsent, mergeClaims, toIdentity } from '../../../src/identity/claims.ts'
import type { Json, JsonObject } from '../../../src/types.ts'

const PERSON = { iss: 'https://org.okta.com', sub: '00u1' }

describe('toIdentity', () => {
  test('takes issuer, subject, name and a lower-case address', () => {
    expect(toIdentity({ ...PERSON, email: 'Alice@Corp.Example', name: ' Alice ', department: 'R&D' })).toEqual({
      issuer: 'https://org.okta.com',
      subject: '00u1',
      email: 'alice@corp.example',
      name: 'Alice',
      claims: { ...PERSON, email: 'alice@corp.example', name: ' Alice ', department: 'R&D' },
    })
  })

  test.each<Json>(["o'brien+x@corp.example", 'a.b@sub.corp.example', 'root@localhost', 'x@xn--bcher-kva.example'])(
    'takes the address %s',
    (email) => expect(toIdentity({ ...PERSON, email }).email).toBe(email),
  )

  // attack-cases.md I14, CVE-2026-40574
  test.each<readonly [string, Json]>([
    ['two @', 'attacker@evil.com@company.com'],
    ['a quoted @', '"a@b"@company.com'],
    ['no @', 'company.com'],
    ['nothing before the @', '@company.com'],
    ['nothing after the @', 'alice@'],
    ['a leading space', ' x@company.com'],
    ['a trailing line break', 'x@company.com\n'],
    ['a control character', 'x\u0000@company.com'],
    ['a trailing dot', 'x@company.com.'],
    ['an empty label', 'x@company..com'],
    ['a homoglyph in the domain', 'x@cоmpany.com'],
    ['a letter that lower-cases to another', '\u212Aate@company.com'],
    ['a full-width @', 'x＠company.com'],
    ['two addresses', 'x@company.com,y@company.com'],
    ['a display name', 'X <x@company.com>'],
    ['an array', ['x@company.com']],
    ['null', null],
    ['a number', 7],
    ['an endless address', `x@${'a'.repeat(300)}.com`],
  ])('leaves out an address with %s, from the claims too', (_name, email) => {
    const identity = toIdentity({ ...PERSON, email })
    expect(identity).not.toHaveProperty('email')
    expect(identity.claims).not.toHaveProperty('email')
  })

  test.each<readonly [Json, boolean]>([
    [true, true],
    ['true', true],
    [false, false],
    ['false', false],
    [null, false],
    [0, false],
    [1, false],
  ])('email_verified %j: address kept is %s', (verified, kept) => {
    expect('email' in toIdentity({ ...PERSON, email: 'x@company.com', email_verified: verified })).toBe(kept)
  })

  test.each<readonly [string, Json | undefined]>([
    ['missing', undefined],
    ['empty', ''],
    ['a number', 7],
    ['too long', 'x'.repeat(256)],
    ['with a space', '00u 1'],
    ['with a line break', '00u1\r\n'],
    ['not ASCII', '00ü1'],
  ])('a subject that is %s is an error', (_name, sub) => {
    const claims = sub === undefined ? { iss: PERSON.iss } : { ...PERSON, sub }
    expect(() => toIdentity(claims)).toThrow(
      expect.objectContaining({ code: 'ERR_IDP_REJECTED', message: 'claims: no usable subject' }),
    )
  })

  test('claims of one sign-in only are dropped', () => {
    const { claims } = toIdentity({ ...PERSON, nonce: 'n', at_hash: 'h', c_hash: 'h', s_hash: 'h', amr: ['pwd'] })
    expect(claims).toEqual({ ...PERSON, amr: ['pwd'] })
  })

  test('a claim called __proto__ is kept as an ordinary key', () => {
    const identity = toIdentity(JSON.parse('{"iss":"i","sub":"s","__proto__":{"email":"x@company.com"}}'))
    expect(Object.getPrototypeOf(identity.claims)).toBe(Object.prototype)
    expect(identity.claims['email']).toBeUndefined()
  })
})

test('an address that is not verified counts only when that is allowed', () => {
  const claims = { ...PERSON, email: 'Ann@corp.example', email_verified: false }
  expect(toIdentity(claims).email).toBeUndefined()
  expect(toIdentity(claims, { allowUnverifiedEmail: true })).toMatchObject({ email: 'ann@corp.example' })
  expect(toIdentity({ ...claims, email: 'a@b@c' }, { allowUnverifiedEmail: true }).email).toBeUndefined()
})

test.each<readonly [string, JsonObject, boolean]>([
  ['nothing', {}, true],
  ['null', { groups: null }, false],
  ['an empty list', { groups: [] }, false],
  ['groups that are elsewhere', { _claim_names: { groups: 'src1' } }, false],
  ['more groups than fit', { hasgroups: true }, false],
])('a claim is absent: %s → %s', (_, claims, absent) => expect(isClaimAbsent(claims, 'groups')).toBe(absent))

describe('groupsFromClaims', () => {
  test('names become groups of type CLAIM, each once', () => {
    expect(groupsFromClaims({ groups: ['A', 'B', 'A'] }, 'groups')).toEqual([
      { id: 'A', name: 'A', type: 'CLAIM' },
      { id: 'B', name: 'B', type: 'CLAIM' },
    ])
  })

  test('an empty list is a list', () => expect(groupsFromClaims({ groups: [] }, 'groups')).toEqual([]))
  test('they may lie deeper, where no claim has the whole name', () => {
    expect(groupsFromClaims({ realm_access: { roles: ['A'] } }, 'realm_access.roles')).toHaveLength(1)
    expect(groupsFromClaims({ 'a.b': ['A'], a: { b: ['A', 'B'] } }, 'a.b')).toHaveLength(1)
    expect(groupsFromClaims({ realm_access: 'roles' }, 'realm_access.roles')).toBeUndefined()
  })
  test('a single name may come bare', () => expect(groupsFromClaims({ r: 'A' }, 'r')).toHaveLength(1))

  test.each<readonly [string, Json | undefined]>([
    ['absent', undefined],
    ['null', null],
    ['a number', 7],
    ['an object', { A: true }],
    ['a list with a number', ['A', 7]],
    ['a list with an empty name', ['A', '']],
    ['a list with an endless name', ['x'.repeat(257)]],
    ['a list too long', Array.from({ length: 5001 }, (_, n) => `g${n}`)],
  ])('a claim that is %s is unknown, not "no groups"', (_name, groups) => {
    expect(groupsFromClaims(groups === undefined ? {} : { groups }, 'groups')).toBeUndefined()
  })

  test('inherited property names are not claims', () => {
    expect(groupsFromClaims({}, 'constructor')).toBeUndefined()
    expect(groupsFromClaims({}, '__proto__')).toBeUndefined()
  })
})

describe('mergeClaims', () => {
  const A = 'a@corp.example'
  const B = 'b@evil.example'

  test('claims of the ID token win over claims of userinfo', () => {
    expect(mergeClaims({ ...PERSON, name: 'Alice' }, { sub: '00u1', name: 'Mallory', department: 'R&D' })).toEqual({
      ...PERSON,
      name: 'Alice',
      department: 'R&D',
    })
  })

  test.each<
    readonly [
      what: string,
      idToken: Record<string, Json>,
      userinfo: Record<string, Json>,
      email: Json | undefined,
      flag: Json | undefined,
    ]
  >([
    ['one document with both', { email: A, email_verified: true }, {}, A, true],
    ['the other document with both', {}, { email: B, email_verified: true }, B, true],
    ['two addresses, the second verified', { email: A }, { email: B, email_verified: true }, A, undefined],
    ['two addresses, the second not verified', { email: A }, { email: B, email_verified: false }, A, undefined],
    ['two addresses, the first verified', { email: A, email_verified: true }, { email: B }, A, true],
    [
      'two addresses, only the second verified',
      { email: A, email_verified: false },
      { email: B, email_verified: true },
      A,
      false,
    ],
    ['a true that stands alone in the ID token', { email_verified: true }, { email: B }, B, undefined],
    ['a true that stands alone in userinfo', { email: A }, { email_verified: true }, A, undefined],
    ['a false that stands alone in the ID token', { email_verified: false }, { email: B }, B, false],
    ['a false that stands alone in userinfo', { email: A }, { email_verified: false }, A, false],
    [
      'a false alone, and the address with its own',
      { email_verified: false },
      { email: B, email_verified: true },
      B,
      true,
    ],
    [
      'one address twice, verified in the second',
      { email: A },
      { email: A.toUpperCase(), email_verified: true },
      A,
      true,
    ],
    ['one address twice, not verified in the second', { email: A }, { email: A, email_verified: false }, A, false],
    [
      'one address twice that disagree',
      { email: A, email_verified: true },
      { email: A, email_verified: 'false' },
      A,
      'false',
    ],
    [
      'one address twice that disagree the other way',
      { email: A, email_verified: 'no' },
      { email: A, email_verified: true },
      A,
      'no',
    ],
    ['no address', { email_verified: true }, {}, undefined, undefined],
    ['an address that is none', { email: null }, { email: B, email_verified: true }, null, undefined],
  ])('%s', (_what, idToken, userinfo, email, flag) => {
    const merged = mergeClaims({ ...PERSON, ...idToken }, { sub: PERSON.sub, ...userinfo })
    expect([merged['email'], merged['email_verified']]).toEqual([email, flag])
    const { email: accepted } = toIdentity(merged)
    expect(accepted).toBe(
      typeof email === 'string' && [undefined, true, 'true'].includes(flag as true) ? email.toLowerCase() : undefined,
    )
  })

  test('a telephone number keeps its own word as well', () => {
    const merged = mergeClaims({ phone_number: '+1' }, { phone_number: '+2', phone_number_verified: true })
    expect(merged).toEqual({ phone_number: '+1' })
  })
})
