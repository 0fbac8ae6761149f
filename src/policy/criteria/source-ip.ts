import { isInside, type Network, parseNetwork } from '../../routing/address.ts'
import { UNKNOWN_CLIENT } from '../../routing/trust.ts'
import { type DataIssue, invalid } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** The client's address is in one of the networks (`10.0.0.0/8`, `2001:db8::/32`) or is one of the addresses. */
export const sourceIp: CriterionRow = {
  needs: 'nothing',
  ok: 'source-ip-ok',
  no: 'source-ip-unauthorized',
  compile(data) {
    const texts: readonly unknown[] = Array.isArray(data) ? data : [data]
    if (texts.length === 0) return invalid(EXPECTED)
    const networks: Network[] = []
    const issues: DataIssue[] = []
    texts.forEach((text, index) => {
      const network = typeof text === 'string' ? parseNetwork(text) : undefined
      if (network) networks.push(network)
      else issues.push({ path: Array.isArray(data) ? [index] : [], message: EXPECTED })
    })
    if (issues.length > 0) return { kind: 'invalid', issues }
    return {
      kind: 'ok',
      test({ request }) {
        // Neither yes nor no: a clause may negate, and a deny clause that says no lets in. A throw denies.
        if (request.clientIp === UNKNOWN_CLIENT) throw new Error("the client's address is unknown")
        return isInside(networks, request.clientIp)
      },
      describe: `in ${texts.join(', ')}`,
    }
  },
}

const EXPECTED = 'expected an address or a network such as 10.0.0.0/8'
