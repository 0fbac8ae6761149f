import type { Config } from '../../../src/config/model.ts'
import type { Finding } from '../finding.ts'
import { askJson, unanswered } from './ask.ts'

const TIMEOUT_MS = 10_000

/** Where certificates are ordered (RFC 8555 §7.1.1); nothing is ordered, and no account is made. */
export async function checkAcme({ fixed: { acme } }: Config): Promise<readonly Finding[]> {
  if (!acme) return []
  const check = `certificate authority ${acme.directoryUrl.href}`
  const answer = await askJson(acme.directoryUrl.href, TIMEOUT_MS, acme.outbound)
  if ('problem' in answer) return [unanswered(check, answer, 'autocert_ca, autocert_trusted_ca')]
  const { newNonce, newAccount, newOrder, meta } = answer.body
  if (![newNonce, newAccount, newOrder].every((url) => typeof url === 'string')) {
    return [
      { check, status: 'fail', message: `answered ${answer.status} and no ACME directory`, remedy: 'see autocert_ca' },
    ]
  }
  const { termsOfService: terms, externalAccountRequired } = (meta ?? {}) as Readonly<Record<string, unknown>>
  if (externalAccountRequired === true && !acme.externalAccount) {
    const remedy = 'write autocert_eab_key_id and autocert_eab_mac_key, as the authority gave them'
    return [{ check, status: 'fail', message: 'it takes no orders without an external account', remedy }]
  }
  const message = `answers${typeof terms === 'string' ? `; autocert agrees to its terms: ${terms}` : ''}`
  return [{ check, status: 'ok', message }]
}
