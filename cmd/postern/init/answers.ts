import { PRODUCTS, PROVIDERS } from '../../../src/config/providers.ts'

export type Provider = (typeof PROVIDERS)[number]

/** What `postern init` asks for. */
export interface Answers {
  readonly provider: Provider
  /** The issuer. */
  readonly providerUrl: string
  /** Origin of the sign-in service. */
  readonly authenticateUrl: string
  readonly app: Application
}

export interface Application {
  /** Origin that people open. */
  readonly from: string
  /** Where it listens. */
  readonly to: string
}

/** An answer that was understood, or what is wrong with it. */
export type Judged<T> = { readonly value: T } | { readonly problem: string }

export function judgeProvider(text: string): Judged<Provider> {
  const wanted = text.toLowerCase()
  const found = PROVIDERS.find((name) => name === (OTHER_NAMES[wanted] ?? wanted))
  return found ? { value: found } : { problem: `expected one of ${PROVIDERS.join(', ')}` }
}

/** As people say it. */
const OTHER_NAMES: Readonly<Record<string, Provider>> = { entra: 'azure', microsoft: 'azure', other: 'oidc' }

/** Of those that have one for everybody. */
export function knownIssuer(provider: Provider): string | undefined {
  return PRODUCTS[provider]?.issuer
}

export function exampleIssuer(provider: Provider): string {
  if (provider === 'okta') return 'https://your-company.okta.com'
  return PRODUCTS[provider]?.example ?? 'https://login.corp.example'
}

/** A host alone is one at https. */
export function judgeProviderUrl(text: string): Judged<string> {
  const url = parse(text)
  // `corp` is the name of an org, not its address; who means a host of their own network writes `https://corp`.
  if (!url || /^[\w-]+$/.test(text)) return { problem: 'expected a URL such as https://corp.okta.com' }
  // Everybody copies the address of the console, which is another host.
  if (url.hostname.endsWith('-admin.okta.com')) url.hostname = url.hostname.replace('-admin.okta.com', '.okta.com')
  return { value: url.pathname === '/' ? url.origin : url.href }
}

/** A host alone is one at https. */
export function judgeOrigin(text: string): Judged<string> {
  const url = parse(text)
  if (!url) return { problem: 'expected a host, or a URL such as https://authenticate.corp.example' }
  return url.pathname === '/' && !url.search
    ? { value: url.origin }
    : { problem: `expected an address without a path, such as ${url.origin}` }
}

/** `https://wiki.corp.example=http://wiki:8080`, or with blanks between the two; beside the sign-in service. */
export function judgeApplication(text: string, authenticateUrl: string): Judged<Application> {
  const [from = '', to = '', ...more] = text.split(/\s*(?:->|=|\s)\s*/).filter(Boolean)
  const origin = judgeOrigin(from)
  if (to === '' || more.length > 0)
    return { problem: 'expected two addresses, such as https://wiki.corp.example=http://wiki:8080' }
  if ('problem' in origin) return origin
  const service = new URL(authenticateUrl)
  const { protocol, hostname } = new URL(origin.value)
  if (hostname === service.hostname)
    return { problem: `expected a host of its own: ${hostname} is that of the sign-in service` }
  if (protocol !== service.protocol)
    return { problem: `expected ${service.protocol}//${hostname}: people come to all hosts as to the sign-in service` }
  const target = parse(to, 'http://')
  return target
    ? { value: { from: origin.value, to: target.pathname === '/' ? target.origin : target.href } }
    : { problem: 'expected, as the second address, where the application listens, such as http://wiki:8080' }
}

function parse(text: string, scheme = 'https://'): URL | undefined {
  const whole = /^[a-z]+:\/\//i.test(text) ? text : scheme + text
  if (/\s/.test(text) || !URL.canParse(whole)) return undefined
  const url = new URL(whole)
  return /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' ? url : undefined
}

/** `corp.example` of `authenticate.corp.example`; what is called `localhost` stays below it. */
export function domainOf(authenticateUrl: string): string {
  const { hostname } = new URL(authenticateUrl)
  const [, ...rest] = hostname.split('.')
  return rest.length === 0 ? hostname : rest.join('.')
}
