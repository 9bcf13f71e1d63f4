;; Declares a table of four billion elements.
(module
  (table 0xffffffff funcref)
  (func (export "_start")))
