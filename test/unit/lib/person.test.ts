import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createIssuer, isIssuer, personKey, subjectOf } from '../../../src/lib/person.ts'

const url = fc.webUrl({ withQueryParameters: false }).map((text) => text.replace(/\/+$/, ''))
const subject = fc.string({ unit: 'binary', maxLength: 300 })

describe('personKey', () => {
  test('gives two people the same key only when issuer and subject are the same', () => {
    fc.assert(
      fc.property(url, subject, url, subject, (issuer, sub, another, other) => {
        const same = issuer === another && sub === other
        expect(personKey({ issuer, subject: sub }) === personKey({ issuer: another, subject: other })).toBe(same)
      }),
    )
  })

  test('keeps the subject as it is, spaces and control characters included', () => {
    fc.assert(
      fc.property(url, subject, (issuer, sub) => {
        expect(subjectOf(personKey({ issuer, subject: sub }))).toBe(sub)
      }),
    )
  })

  test('takes an issuer with a trailing slash for the same issuer, as configuration does', () => {
    expect(personKey({ issuer: 'https://idp.example/', subject: 'ann' })).toBe(
      personKey({ issuer: 'https://idp.example', subject: 'ann' }),
    )
  })

  test.each(['', 'https://a b', 'https://a\tb', 'https://a\u0000', 'https://ä.example', `https://${'a'.repeat(2048)}`])(
    'refuses the issuer %#, which is no URL: two people could share a key',
    (issuer) => {
      expect(isIssuer(issuer)).toBe(false)
      expect(() => personKey({ issuer, subject: 'ann' })).toThrow(TypeError)
    },
  )
})

describe('an issuer', () => {
  const here = createIssuer('https://org.okta.example')

  test('names its own people and nobody of another issuer', () => {
    fc.assert(
      fc.property(url, subject, (issuer, sub) => {
        const key = personKey({ issuer, subject: sub })
        expect(here.subject(key)).toBe(issuer === 'https://org.okta.example' ? sub : undefined)
        expect(here.subject(here.person(sub))).toBe(sub)
      }),
    )
  })

  test.each(['https://org.okta.example/oauth2/default', 'https://org.okta.example.evil', 'https://org.okta.exampl'])(
    'does not take %s for itself',
    (issuer) => expect(here.subject(personKey({ issuer, subject: '00ann' }))).toBeUndefined(),
  )
})
