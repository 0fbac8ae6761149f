import type { PersonKey, Subject } from '../types.ts'

/** A URL in ASCII, so no space can stand in it (RFC 3986 §2). */
const ISSUER = /^[\x21-\x7e]{1,2048}$/

export function isIssuer(value: string): boolean {
  return ISSUER.test(value)
}

/**
 * The key of a person: a subject is unique only within its issuer (OpenID Connect Core §2). An issuer has no space, so no
 * two pairs share a key. A trailing slash is cut, as configuration cuts it.
 */
export function personKey({ issuer, subject }: { readonly issuer: string; readonly subject: Subject }): PersonKey {
  if (!isIssuer(issuer)) throw new TypeError('person: the issuer is no URL')
  return `${withoutSlash(issuer)} ${subject}` as PersonKey
}

/** Do the two name one issuer? Configuration cuts a trailing slash, which belongs to the issuer of some providers. */
export function isSameIssuer(one: string, other: string): boolean {
  return withoutSlash(one) === withoutSlash(other)
}

function withoutSlash(issuer: string): string {
  return issuer.endsWith('/') ? issuer.slice(0, -1) : issuer
}

/** The subject half of a key. */
export function subjectOf(person: PersonKey): Subject {
  return person.slice(person.indexOf(' ') + 1)
}

/** The issuer half of a key, without a trailing slash. */
export function issuerOf(person: PersonKey): string {
  return person.slice(0, person.indexOf(' '))
}

/** Whom the subjects of one issuer are. */
export interface Issuer {
  person(subject: Subject): PersonKey
  /** undefined: somebody of another issuer. */
  subject(person: PersonKey): Subject | undefined
}

export function createIssuer(issuer: string): Issuer {
  const prefix: string = personKey({ issuer, subject: '' })
  return {
    person: (subject) => `${prefix}${subject}` as PersonKey,
    subject: (person) => (person.startsWith(prefix) ? person.slice(prefix.length) : undefined),
  }
}
