import { systemClock } from '../../src/lib/clock.ts'
import { openOperator, type Operator } from '../../src/operator.ts'
import type { Config } from '../../src/config/model.ts'
import type { Io } from './io.ts'
import { messagesTo } from './messages.ts'

/** Opens the store beside a running Postern, and closes it whatever happens. */
export async function withOperator<T>(config: Config, io: Io, work: (operator: Operator) => Promise<T>): Promise<T> {
  const operator = await openOperator(config, { clock: io.clock ?? systemClock, logger: messagesTo(io) })
  try {
    return await work(operator)
  } finally {
    await operator.close()
  }
}
