import type { Call } from '../http/call.ts'

/** Whom a client says it is: by `Basic`, whose parts are form-encoded (RFC 6749 §2.3.1), or in the form. */
export function credentialsOf(
  call: Call,
  body: URLSearchParams,
): { readonly id: string; readonly secret: string | undefined } {
  const [scheme = '', encoded = ''] = (call.req.headers.authorization ?? '').split(' ')
  if (scheme.toLowerCase() !== 'basic') {
    return { id: body.get('client_id') ?? '', secret: body.get('client_secret') ?? undefined }
  }
  const [id = '', secret] = Buffer.from(encoded, 'base64').toString('utf8').split(':').map(decodeURIComponent)
  return { id, secret }
}
