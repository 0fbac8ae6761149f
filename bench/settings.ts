import { randomBytes } from 'node:crypto'
import { DEMO } from '../emulator/okta/demo-seed.ts'

/** What every Postern of a bench is configured with: the emulated Okta at `okta`, a store in the folder `store`. */
export function commonSettings({
  port,
  okta,
  store,
}: {
  readonly port: number
  readonly okta: string
  readonly store: string
}) {
  return {
    authenticate_service_url: `http://authenticate.localhost:${port}`,
    address: `127.0.0.1:${port}`,
    shared_secret: randomBytes(32).toString('base64'),
    idp_provider: 'okta',
    idp_provider_url: okta,
    idp_client_id: DEMO.clientId,
    idp_client_secret: DEMO.clientSecret,
    idp_service_account: DEMO.apiToken,
    storage: { type: 'embedded', path: store },
  }
}
