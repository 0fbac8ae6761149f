import { type DataIssue, isVariable, NOT_EXPANDED, parseStringMatcher, warnOfEnd } from '../matchers.ts'
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
    const warnings = [...matcher.warnings, ...warnOfEverybodys(matcher.passing), ...warnOfEnd(data, '.')]
    return { ...matcher, warnings, test: ({ who }) => matcher.test(domainOf(who?.identity.email ?? '')) }
  },
}

/** Providers of e-mail where whoever likes has an address. */
const EVERYBODYS: ReadonlySet<string> = new Set([
  'aol.com',
  'gmail.com',
  'googlemail.com',
  'gmx.com',
  'gmx.de',
  'gmx.net',
  'hotmail.com',
  'icloud.com',
  'live.com',
  'mail.com',
  'mail.ru',
  'me.com',
  'msn.com',
  'outlook.com',
  'proton.me',
  'protonmail.com',
  'qq.com',
  'web.de',
  'yahoo.com',
  'yandex.com',
  'yandex.ru',
])

/** `domains`: lower case. */
function warnOfEverybodys(domains: readonly string[] = []): readonly DataIssue[] {
  const found = domains.find((each) => EVERYBODYS.has(each))
  if (found === undefined) return []
  return [
    {
      path: [],
      message: `everybody can have an address at ${found}; write the addresses that are meant, as allowed_users or, in a policy, email`,
    },
  ]
}

function noDomain(text: string): string | undefined {
  if (text === '*') return `no domain is "*"; ${ANYBODY}`
  const [, subdomains = '', plain = ''] = /^(\*?)[@.]*(.*)$/.exec(text) ?? []
  if (isVariable(text)) return `no domain is ${JSON.stringify(text)}; ${NOT_EXPANDED}`
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
