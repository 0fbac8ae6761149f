import { AppError } from '../../errors.ts'
import { constantTimeEqual } from '../../lib/crypto.ts'
import { isSameIssuer } from '../../lib/person.ts'
import { rejected } from './faults.ts'

/** Everything that can be judged without the provider, state first. Rejects ERR_SIGN_IN_STATE, ERR_BAD_REQUEST or ERR_IDP_REJECTED. */
export function checkCallback(query: URLSearchParams, expectedState: string, issuer: string): void {
  for (const name of ['state', 'code', 'error', 'error_description', 'iss']) {
    // RFC 6749 §3.1: parameters must not be repeated; the second one could be anybody's.
    if (query.getAll(name).length > 1) throw new AppError('ERR_BAD_REQUEST', `callback: more than one ${name}`)
  }
  const state = query.get('state')
  if (!state) throw new AppError('ERR_SIGN_IN_STATE', 'callback: no state')
  if (!constantTimeEqual(state, expectedState)) {
    throw new AppError('ERR_SIGN_IN_STATE', 'callback: state belongs to another sign-in')
  }
  const iss = query.get('iss')
  // In errors, too: what another one says is not shown as this one's words. The library sees that there is one where it must be.
  if (iss !== null && !isSameIssuer(iss, issuer)) {
    throw rejected('callback', 'bad_answer', undefined, 'iss names another issuer')
  }
  const error = query.get('error')
  if (error) throw rejected('callback', error, query.get('error_description') ?? undefined)
  if (!query.get('code')) throw new AppError('ERR_BAD_REQUEST', 'callback: neither code nor error')
}
