import type { Person } from '../model/types.ts'

/** Authentication context classes that the emulator knows (okta-api.md#authorize), with what they ask for. */
const CLASSES: Readonly<Record<string, 'one' | 'two' | 'two-if-possible' | 'phishing-resistant'>> = {
  'urn:okta:loa:1fa:any': 'one',
  'urn:okta:loa:1fa:pwd': 'one',
  'urn:okta:loa:2fa:any': 'two',
  'urn:okta:loa:2fa:any:ifpossible': 'two-if-possible',
  phr: 'phishing-resistant',
  phrh: 'phishing-resistant',
}

export interface Assurance {
  /** Reflected in both tokens. */
  readonly acr: string
  readonly factors: 1 | 2
}

/** The first requested class that the person can satisfy; unknown classes are ignored. `unmet`: the person can satisfy none of the known ones. */
export function chooseAssurance(acrValues: string | undefined, person: Person): Assurance | 'unmet' {
  const known = (acrValues ?? '').split(' ').filter((acr) => Object.hasOwn(CLASSES, acr))
  if (known.length === 0) return { acr: 'urn:okta:loa:1fa:any', factors: 1 }
  for (const acr of known) {
    const wanted = CLASSES[acr]
    if (wanted === 'one' || (wanted === 'two-if-possible' && !person.secondFactor)) return { acr, factors: 1 }
    if (person.secondFactor && (wanted === 'two' || wanted === 'two-if-possible')) return { acr, factors: 2 }
  }
  return 'unmet'
}

/** What a sign-in with so many factors puts into `amr`. */
export function methodsOf(factors: 1 | 2): readonly string[] {
  return factors === 2 ? ['pwd', 'mfa', 'otp'] : ['pwd']
}

export function factorsOf(amr: readonly string[] | undefined): 1 | 2 {
  return amr?.includes('mfa') ? 2 : 1
}
