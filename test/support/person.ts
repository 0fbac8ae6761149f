import { createIssuer } from '../../src/lib/person.ts'
import type { PersonKey } from '../../src/types.ts'

/** Who issues the subjects of tests that speak of one issuer only. */
export const ISSUER = createIssuer('https://org.okta.example')
export const person = (subject: string): PersonKey => ISSUER.person(subject)
