/** Headers of a route that say something about the person or the request (`set_request_headers`). */
import type { HeaderTemplate, TemplateReference } from '../config/route-model.ts'
import type { RequestFacts } from '../http/request.ts'
import type { Principal } from '../policy/model.ts'
import type { Json, JsonObject } from '../types.ts'
import { OURS } from './assertion-claims.ts'
import { claimHeaderValue, fittingMembers, MAX_HEADER_BYTES, own } from './claim-value.ts'

/** Of one value. The assertion is longer than a claim may be; upstreams refuse a line beyond 8 KiB (nginx, Apache). */
export const MAX_VALUE_BYTES = 8000

export interface Known {
  readonly who: Principal
  readonly claims: JsonObject
  readonly assertion: string
}

/**
 * What is known of the person in the place of each reference to it; those to the request stay. undefined: there is nothing
 * to say for one of them, so there is no header.
 */
export function fillIn(template: HeaderTemplate, known: Known | undefined): HeaderTemplate | undefined {
  const filled: (string | TemplateReference)[] = []
  for (const part of template) {
    const value = typeof part === 'string' || isOfRequest(part) ? part : known && valueOf(part, known)
    if (value === undefined) return undefined
    filled.push(value)
  }
  return filled
}

type OfRequest = Extract<TemplateReference, { kind: 'request-header' | 'client-certificate' }>

function isOfRequest(part: TemplateReference): part is OfRequest {
  return part.kind === 'request-header' || part.kind === 'client-certificate'
}

/** undefined: the request has nothing for a part of it, or it is too long. Throws ERR_BAD_REQUEST for a header in two spellings. */
export function render(
  template: HeaderTemplate,
  request: Pick<RequestFacts, 'headers' | 'clientCertificate'>,
): string | undefined {
  let text = ''
  for (const part of template) {
    const value = typeof part === 'string' ? part : isOfRequest(part) ? partOf(request, part) : undefined
    if (value === undefined) return undefined
    text += value
  }
  return text.length > MAX_VALUE_BYTES ? undefined : text
}

function partOf(
  { headers, clientCertificate: shown }: Parameters<typeof render>[1],
  part: OfRequest,
): string | undefined {
  if (part.kind === 'request-header') return headers.get(part.name)
  if (!shown || shown.fault !== undefined) return undefined
  if (part.field === 'fingerprint') return shown.fingerprint
  // Of a name with a comma nobody could tell where it ends; what is no text of a header is none of it.
  return shown.names[part.field].filter((name) => /^[!-+\--~]+$/.test(name)).join(',') || undefined
}

/** undefined: it looks at the request as well. */
export function textOf(template: HeaderTemplate): string | undefined {
  return template.every((part) => typeof part === 'string') ? template.join('') : undefined
}

function valueOf(
  reference: Exclude<TemplateReference, OfRequest>,
  { who, claims, assertion }: Known,
): string | undefined {
  if (reference.kind === 'assertion') return assertion
  const value =
    reference.kind === 'user'
      ? { id: who.identity.subject, email: who.identity.email, name: who.identity.name, groups: claims['groups'] }[
          reference.field
        ]
      : claimAt(reference.path, claims, who)
  // As in a claim header.
  if (value === claims['groups'] && Array.isArray(value))
    return fittingMembers(value, MAX_HEADER_BYTES).text || undefined
  const written = claimHeaderValue(value)
  return written === 'too-large' ? undefined : written?.text
}

/** The provider's claims never stand for ours. */
function claimAt([first = '', ...rest]: readonly string[], claims: JsonObject, who: Principal): Json | undefined {
  let value = OURS.has(first) ? own(claims, first) : own(who.identity.claims, first)
  for (const name of rest) value = isObject(value) ? own(value, name) : undefined
  return value
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
