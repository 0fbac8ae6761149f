import { parseStringMatcher } from '../matchers.ts'
import { ANYBODY } from './authenticated-user.ts'
import type { CriterionRow } from '../row.ts'

/** What follows the `@` of the verified e-mail address, in any letter case and as a whole: `corp.example` is not `x.corp.example`. */
export const domain: CriterionRow = {
  needs: 'address',
  ok: 'domain-ok',
  no: 'domain-unauthorized',
  compile(data) {
    const matcher = parseStringMatcher(data, { canonical: (text) => text.toLowerCase(), problem: noDomain })
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ who }) => matcher.test(domainOf(who?.identity.email ?? '')) }
  },
}

function noDomain(text: string): string | undefined {
  if (text === '*') return `no domain is "*"; ${ANYBODY}`
  const [, subdomains = '', plain = ''] = /^(\*?)[@.]*(.*)$/.exec(text) ?? []
  if (!/[*@\s]/.test(text)) return undefined
  const instead =
    subdomains === '' || plain.includes('*')
      ? `write ${plain}`
      : `write ${plain}, or in a policy domain: {ends_with: .${plain}} for what is below it`
  return `no domain is ${JSON.stringify(text)}; ${/[*@\s]/.test(plain) ? 'write the part of the address behind the @' : instead}`
}

/** The identity layer lets only addresses with exactly one `@` through. */
function domainOf(address: string): string {
  const at = address.lastIndexOf('@')
  return at === -1 ? '' : address.slice(at + 1)
}
