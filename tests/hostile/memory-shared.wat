;; Declares a memory that threads could share, and there are no threads.
(module
  (memory (export "memory") 1 1 shared)
  (func (export "_start")))
