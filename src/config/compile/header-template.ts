/**
 * Values of `set_request_headers`. The grammar is Pomerium's: `$a.b`, `${a.b["c"]}` with blanks inside, `$$` for a dollar;
 * what is neither is text.
 */
import { isForeign } from '../../lib/foreign-headers.ts'
import { normalName, reservedHeader } from '../../lib/header-names.ts'
import type { HeaderTemplate, TemplateReference } from '../route-model.ts'

const IDENTIFIER = /[A-Za-z0-9_-]+/y
const STRING = /"((?:\\.|[^"\\])*)"/y
const BLANK = /[ \t]*/y
const USER = ['id', 'email', 'name', 'groups'] as const

export type ParsedTemplate =
  | { readonly kind: 'template'; readonly template: HeaderTemplate; readonly warning?: string }
  | { readonly kind: 'invalid'; readonly problem: string }

/** @param identity normal names of every header that says who is signed in. */
export function parseHeaderTemplate(value: string, identity: ReadonlySet<string>): ParsedTemplate {
  const parts: (string | TemplateReference)[] = []
  let text = ''
  let warning: string | undefined
  for (let at = 0; at < value.length; ) {
    if (value.startsWith('$$', at)) {
      text += '$'
      at += 2
      continue
    }
    const found = value[at] === '$' ? readReference(value, at + 1) : undefined
    if (!found) {
      if (/^\$[{\w]/.test(value.slice(at, at + 2))) {
        warning = 'sent as it is: `$` begins a reference that does not end; write $$ for a dollar'
      }
      text += value[at++] ?? ''
      continue
    }
    const reference = referenceOf(found.path, identity)
    if (typeof reference === 'string') return { kind: 'invalid', problem: reference }
    if (text !== '') parts.push(text)
    text = ''
    parts.push(reference)
    at = found.end
  }
  if (text !== '') parts.push(text)
  return { kind: 'template', template: parts, ...(warning !== undefined && { warning }) }
}

/** `from`: behind the dollar. */
function readReference(value: string, from: number) {
  const read = (pattern: RegExp, at: number): RegExpExecArray | null => {
    pattern.lastIndex = at
    return pattern.exec(value)
  }
  const braces = value[from] === '{'
  const skip = (at: number): number => (braces ? at + (read(BLANK, at)?.[0].length ?? 0) : at)
  const path: string[] = []
  let at = skip(braces ? from + 1 : from)
  for (;;) {
    const index = braces && path.length > 0 && value[at] === '['
    const member = read(index ? STRING : IDENTIFIER, index ? skip(at + 1) : at)
    if (!member) return undefined
    path.push(member[1]?.replaceAll(/\\(.)/g, '$1') ?? member[0])
    const end = member.index + member[0].length
    at = skip(end)
    if (index) {
      if (value[at] !== ']') return undefined
      at = skip(at + 1)
    }
    if (braces && value[at] === '}') return { path, end: at + 1 }
    if (value[at] === '.') at = skip(at + 1)
    else if (!braces) return { path, end }
    else if (value[at] !== '[') return undefined
  }
}

const CERTIFICATE_FIELDS: ReadonlyMap<string, 'fingerprint' | 'dns' | 'email'> = new Map([
  ['client_cert_fingerprint', 'fingerprint'],
  ['client_cert_san_dns', 'dns'],
  ['client_cert_san_email', 'email'],
])

/** What is wrong with it, in words, when it is text. */
function referenceOf(path: readonly string[], identity: ReadonlySet<string>): TemplateReference | string {
  const [root, first = '', ...more] = path
  if (root === 'claims' && path.length > 1) return { kind: 'claim', path: path.slice(1) }
  const field = USER.find((name) => name === first)
  if (root === 'user' && field && more.length === 0) return { kind: 'user', field }
  if (root === 'pomerium') {
    if (first === 'jwt' && more.length === 0) return { kind: 'assertion' }
    if (first === 'request' && more.length === 2 && more[0] === 'headers') return requestHeader(more[1] ?? '', identity)
    if (first === 'access_token' || first === 'id_token') {
      return `"pomerium.${first}" is not passed on: tokens of the provider are for Postern alone; \${pomerium.jwt} says who it is, with a signature`
    }
    const certificate = CERTIFICATE_FIELDS.get(first)
    if (certificate && more.length === 0) return { kind: 'client-certificate', field: certificate }
  }
  return `expected a reference such as \${user.email}, \${user.groups}, \${claims.department} or \${pomerium.jwt}, found ${JSON.stringify(path.join('.'))}; write $$ for a dollar`
}

function requestHeader(name: string, identity: ReadonlySet<string>): TemplateReference | string {
  const normal = normalName(name)
  if (normal === 'cookie' || normal === 'authorization') return `${name} carries the client's own credentials`
  if (isForeign(normal) || reservedHeader(normal, identity) !== undefined)
    return `no client may say anything in ${name}`
  return { kind: 'request-header', name: name.toLowerCase() }
}
