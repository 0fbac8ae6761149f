import { isVariable, NOT_EXPANDED, parseStringMatcher, warnOfEnd } from '../matchers.ts'
import { ANYBODY } from './authenticated-user.ts'
import type { CriterionRow } from '../row.ts'

/**
 * The verified e-mail address, in any letter case. Somebody without one has the empty string, which
 * no `is`, `in`, `contains`… matches but `not` does: a deny rule written with `not` stays closed. Of a program the question
 * has no answer.
 */
export const email: CriterionRow = {
  needs: 'address',
  ok: 'email-ok',
  no: 'email-unauthorized',
  compile(data) {
    const matcher = parseStringMatcher(data, { canonical: (text) => text.toLowerCase(), problem: noAddress })
    if (matcher.kind === 'invalid') return matcher
    const incomplete = matcher.passing?.find((address) => !address.includes('@'))
    const warnings = [
      ...matcher.warnings,
      ...warnOfEnd(data, '@'),
      ...(incomplete === undefined
        ? []
        : [{ path: [], message: `no address is ${JSON.stringify(incomplete)}; write all of it, or user for an id` }]),
    ]
    return { ...matcher, warnings, test: ({ who }) => matcher.test(who?.identity.email ?? '') }
  },
}

/** Also of user ids: `allowed_users` takes both. */
export function noAddress(text: string): string | undefined {
  if (text === '*') return `nobody is "*"; ${ANYBODY}`
  if (isVariable(text)) return `nobody is ${JSON.stringify(text)}; ${NOT_EXPANDED}`
  const [, domain] = /^\*?@(.+)$/.exec(text) ?? []
  return domain === undefined
    ? undefined
    : `nobody is ${JSON.stringify(text)}; write allowed_domains: [${domain}], or in a policy domain: ${domain}`
}
