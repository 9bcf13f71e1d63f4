;; Casts a function to a type that it does not have.
(module
  (type $a (sub (func)))
  (type $b (sub $a (func)))
  (elem declare func $f)
  (func $f (type $a))
  (func (export "_start") (drop (ref.cast (ref $b) (ref.func $f)))))
