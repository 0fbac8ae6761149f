import type { PersonKey, Subject } from '../types.ts'

/** The key of a person: an issuer is a URL and has no space, a subject is unique only within its issuer (OpenID Connect Core §2). */
export function personKey({ issuer, subject }: { readonly issuer: string; readonly subject: Subject }): PersonKey {
  return `${issuer} ${subject}` as PersonKey
}

/** The subject half of a key. */
export function subjectOf(person: PersonKey): Subject {
  return person.slice(person.indexOf(' ') + 1)
}
