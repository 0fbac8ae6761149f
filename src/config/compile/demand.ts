import type { Policy } from '../../policy/model.ts'
import type { Path, Report } from '../issues.ts'
import type { RouteInput } from '../schema/route.ts'
import type { SignInDemand, Span } from '../../types.ts'

/** Shorter than two clocks may differ: the way back from the provider would be too long. */
const SHORTEST: Span = 60_000
/** As scopes (RFC 6749 §3.3): values stand in a list with spaces, and in a quoted string of a challenge. */
const ACR_VALUE = /^[\x21\x23-\x5b\x5d-\x7e]{1,255}$/

/** What the route asks of a sign-in; undefined: nothing. */
export function compileDemand(
  { acr_values: acrValues, max_auth_age: maxAuthAge, max_session_age: maxSessionAge }: RouteInput,
  providers: SignInDemand['providers'],
  policy: Policy | undefined,
  path: Path,
  report: Report,
): SignInDemand | undefined {
  if (policy?.kind === 'public' && policy.identity !== 'optional' && providers) {
    report.error([...path, 'identity_provider'], 'a public route asks nobody to sign in')
  }
  if (acrValues === undefined && maxAuthAge === undefined && maxSessionAge === undefined) {
    return providers && { providers }
  }
  if (policy?.kind === 'public') {
    const key = acrValues !== undefined ? 'acr_values' : maxAuthAge !== undefined ? 'max_auth_age' : 'max_session_age'
    report.error([...path, key], 'a public route asks nobody to sign in')
  }
  const [first, ...more] = acrValues ?? []
  if (acrValues && (first === undefined || !acrValues.every((value) => ACR_VALUE.test(value)))) {
    report.error([...path, 'acr_values'], 'expected values such as phr')
  }
  for (const [key, age] of [
    ['max_auth_age', maxAuthAge],
    ['max_session_age', maxSessionAge],
  ] as const) {
    if (age !== undefined && age < SHORTEST) report.error([...path, key], 'expected a duration of at least 1m')
  }
  return {
    ...(providers && { providers }),
    ...(first !== undefined && { acrValues: [first, ...more] as const }),
    ...(maxAuthAge !== undefined && { maxAuthAge }),
    ...(maxSessionAge !== undefined && { maxSessionAge }),
  }
}
